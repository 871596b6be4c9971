"""Results as Markdown tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

from reader_cases.case import Group

from truth.asking import Result

WORDS = ("right", "part", "wrong", "refused", "lost")
Results = Mapping[str, Mapping[str, Mapping[str, Result]]]
"""By group, case and reader."""


def cell(result: Result | None) -> str:
    """Return a result as the word and number of a cell."""
    if result is None or not result.word:
        return "-"
    if result.word in {"refused", "lost"}:
        return result.word if result.word == "refused" else f"**lost** {result.detail}"
    word = f"**{result.word}**" if result.word == "wrong" else result.word
    shown = result.detail if result.word != "right" or _tells(result.detail) else ""
    mark = ", warned" if result.warning and result.word != "right" else ""
    return f"{word} {shown}".strip() + mark


def group_table(group: Group, titles: Mapping[str, str], results: Results) -> str:
    """Return the table of a group.

    Args:
        group: The rows.
        titles: The columns: reader to heading.
        results: What was found.
    """
    found = results[group.key]
    columns = [key for key in titles if any(found[c].get(key) for c in found)]
    rows = [
        [case.name, *(cell(found[case.name].get(key)) for key in columns)]
        for case in group.cases
    ]
    return _table(["", *(titles[key] for key in columns)], rows)


def counts_table(
    groups: Sequence[Group], titles: Mapping[str, str], results: Results
) -> str:
    """Return how often each reader was right, over all groups it was asked about."""
    rows = []
    for key, title in titles.items():
        asked = [
            found[case.name][key].word
            for group in groups
            if (found := results.get(group.key))
            for case in group.cases
            if key in found[case.name] and found[case.name][key].word
        ]
        count = Counter(asked)
        if asked:
            rows.append([title, str(len(asked)), *(str(count[word]) for word in WORDS)])
    return _table(["reader", "cases", *WORDS], rows)


def refusals(
    groups: Sequence[Group], results: Results, reader: str = "medcnn"
) -> list[tuple[str, str]]:
    """Return (case, sentence) of each refusal of a reader."""
    return [
        (case.name, result.detail)
        for group in groups
        if group.key in results
        for case in group.cases
        if (result := results[group.key][case.name].get(reader))
        and result.word == "refused"
    ]


def _tells(detail: str) -> bool:
    """Say whether the detail of a right answer is more than a number."""
    return bool(detail) and not detail[0].isdigit()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
