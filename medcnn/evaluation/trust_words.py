"""What trust scores mean, in sentences and tables: page, card, terminal and docs."""

from collections.abc import Mapping, Sequence

from medcnn.evaluation.measures import Estimate
from medcnn.evaluation.trust import (
    Agreement,
    Faithfulness,
    Located,
    Randomised,
    Trust,
    Verdict,
)

__all__ = [
    "agreement_sentence",
    "faithfulness_sentence",
    "located_sentence",
    "markdown_section",
    "markdown_table",
    "randomised_sentence",
    "trust_warnings",
    "verdict_words",
]

_VERDICTS: dict[Verdict, str] = {
    "better": "better than the centre",
    "not shown": "NO BETTER THAN THE CENTRE, as far as is shown",
    "worse": "WORSE THAN THE CENTRE",
    "too few": "too few patients to judge",
}

_MEANING = (
    "Do they find what readers marked? Means of the marked images, 95 % intervals by "
    "patient. Pointing game: the hottest point lies inside; `centre` is the image's "
    "centre, `random` a random point, `others' marks` where other patients are marked "
    "most often. Energy: share of relevance inside. IoU: of the marks and the pixels "
    "of at least half the maximum. AUPRC: of all pixels. `random` is chance for all."
)

_ALIKE = 0.5
"""A rank correlation above which maps before and after are called alike."""


def verdict_words(found: Located) -> str:
    """Say in a few words whether maps beat the image's centre."""
    return _VERDICTS[found.verdict]


def located_sentence(label: str, found: Located) -> str:
    """Say for a physician how often the hottest point lies where readers marked."""
    pointing = found.scores[0]
    words = (
        f"{label}: in {_images(found.images)} with marks the hottest point of the map "
        f"lies inside them {_share(pointing.value)} of the time, the centre of the "
        f"image {_percent(pointing.centre.value)}, a random point "
        f"{_percent(pointing.random)}"
    )
    if pointing.usual is not None:
        usual = _percent(pointing.usual)
        words += f", the place where other patients are marked most often {usual}"
    words += "."
    endings: dict[Verdict, str] = {
        "better": "The map is shown to beat the centre.",
        "not shown": "It is NOT SHOWN TO BE BETTER THAN THE CENTRE OF THE IMAGE: do "
        "not take it for a place.",
        "worse": "It is WORSE THAN THE CENTRE OF THE IMAGE: do not take it for a "
        "place.",
        "too few": "These are too few patients to judge.",
    }
    words += f" {endings[found.verdict]}"
    if found.empty_maps:
        words += f" {found.empty_maps} of the maps are empty and count as misses."
    return words


def trust_warnings(trust: Trust) -> list[str]:
    """Return what must be read before anybody looks at a heatmap."""
    found = []
    named = [
        (label, one)
        for label, one in trust.located.items()
        if one.verdict in {"not shown", "worse"}
    ]
    if named:
        labels = ", ".join(label for label, _ in named)
        found.append(
            f"The heatmaps of {labels} are not shown to be better than the centre of "
            "the image: do not take them for a place."
        )
    faith = trust.faithfulness
    if faith is not None and faith.verdict in {"not shown", "worse"}:
        found.append(
            f"The score of {faith.label} is not shown to depend more on what its "
            "heatmap calls hot than on random blobs."
        )
    found += [
        "The heatmaps hardly change when the weights of "
        f"{_part(one)} are shuffled: they show the image, not what was learnt."
        for one in trust.randomised
        if one.correlation.value > _ALIKE
    ]
    return found


def faithfulness_sentence(found: Faithfulness) -> str:
    """Say what the score does when pixels go or come in the order of the map."""
    gone, there = found.deletion, found.insertion
    words = (
        f"{found.label}, {_images(found.images)}: mean probability while the hottest "
        f"pixels become {found.deleted_become}, {_number(gone.value)} (random blobs "
        f"{gone.random.value:.2f}, from the centre {gone.centre.value:.2f}; lower is "
        f"better). While the hottest pixels come into {found.inserted_into}, "
        f"{_number(there.value)} (random blobs {there.random.value:.2f}, from the "
        f"centre {there.centre.value:.2f}; higher is better). "
    )
    endings: dict[Verdict, str] = {
        "better": "Both are shown to beat random blobs.",
        "not shown": "They are NOT SHOWN TO BEAT RANDOM BLOBS.",
        "worse": "At least one is WORSE THAN RANDOM BLOBS.",
        "too few": "These are too few patients to judge.",
    }
    return words + endings[found.verdict]


def randomised_sentence(found: Randomised) -> str:
    """Say whether the maps depend on what was learnt."""
    words = (
        f"With the weights of {_part(found)} shuffled, the rank correlation of the "
        f"maps before and after is {_number(found.correlation)} in "
        f"{_images(found.images)}"
    )
    if 2 * found.equal_maps > found.images:
        return (
            f"With the weights of {_part(found)} shuffled, {found.equal_maps} of "
            f"{_images(found.images)} have no map left to compare: this says little."
        )
    if found.equal_maps:
        words += f" ({found.equal_maps} without any relief count as 0)"
    if found.correlation.value > _ALIKE:
        return f"{words}: they HARDLY CHANGE, and show the image, not what was learnt."
    return f"{words}: they change with what was learnt."


def agreement_sentence(found: Agreement) -> str:
    """Say how far two methods agree."""
    return (
        f"{found.first} and {found.second}: rank correlation "
        f"{_number(found.correlation)}; of their hottest 5 % they share "
        f"{_share(found.overlap)}, by chance 5 % ({_images(found.images)})."
    )


def markdown_table(trust: Trust) -> str:
    """Return the scores against marks as a Markdown table; "" without any.

    Pointing, energy, IoU and AUPRC with 95 % intervals by patient; beside the pointing
    game what the image's centre, a random point and other patients' marks reach.
    """
    if not trust.located:
        return ""
    titles = (
        "label",
        "images / patients",
        "pointing game",
        "centre",
        "random",
        "others' marks",
        "energy",
        "IoU",
        "AUPRC",
        "verdict",
    )
    rows = [_row(titles), _row(["---"] * len(titles))]
    for label, found in trust.located.items():
        pointing, energy, iou, auprc = found.scores
        patients = "unknown" if found.patients is None else found.patients
        usual = "" if pointing.usual is None else f"{pointing.usual:.2f}"
        cells = (
            label,
            f"{found.images} / {patients}",
            _number(pointing.value),
            f"{pointing.centre.value:.2f}",
            f"{pointing.random:.2f}",
            usual,
            *(_number(score.value) for score in (energy, iou, auprc)),
            verdict_words(found),
        )
        rows.append(_row(cells))
    return "\n".join(rows)


def markdown_section(measured: Mapping[str, Trust]) -> str:
    """Return a card's section on heatmaps; "" where nothing is marked.

    Args:
        measured: The scores of each split.
    """
    parts = []
    for split, trust in measured.items():
        table = markdown_table(trust)
        if table:
            warnings = "".join(f"**{words}**\n\n" for words in trust_warnings(trust))
            parts.append(f"### {split}, method `{trust.method}`\n\n{warnings}{table}\n")
    if not parts:
        return ""
    return "\n".join([f"## Heatmaps\n\n{_MEANING}\n", *parts])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _part(found: Randomised) -> str:
    return "the head" if found.part == "head" else "the whole network"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _share(value: Estimate) -> str:
    if value.ci95 is None:
        return _percent(value.value)
    low, high = (100 * bound for bound in value.ci95)
    return f"{_percent(value.value)} ({low:.0f} to {high:.0f})"


def _number(value: Estimate) -> str:
    if value.ci95 is None:
        return f"{value.value:.2f}"
    return f"{value.value:.2f} ({value.ci95[0]:.2f} to {value.ci95[1]:.2f})"
