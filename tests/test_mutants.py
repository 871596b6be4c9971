"""Files damaged in hundreds of ways: one outcome each, and nothing dies of them.

MEDCNN_MUTANTS=10000 makes it the long test; see benchmarks/mutants.py.
"""

import os
import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import mutants

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("MEDCNN_MUTANTS", "500"))


@pytest.fixture(scope="module")
def found():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = list(mutants.outcomes(COUNT, workers=2))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return outcomes, grown << 10


def test_every_mutant_comes_to_one_outcome_within_its_time(found):
    outcomes, _ = found
    assert [one.number for one in outcomes] == list(range(COUNT))
    for one in outcomes:
        assert one.stage == "ok" or (one.error and "\n" not in one.error), one
        assert one.seconds < mutants.LIMITS.timeout_s + 2, one


def test_mutants_are_read_and_refused_but_end_no_process(found):
    outcomes, grown = found
    stages = {one.stage for one in outcomes}
    assert {"ok", "format", "header", "decode"} <= stages
    assert not {"crash", "timeout"} & stages
    assert grown < 1500 << 20


def test_most_refusals_say_what_to_do(found):
    refused = [one for one in found[0] if one.stage != "ok"]
    assert sum(bool(one.hint) for one in refused) > 0.8 * len(refused)


def test_a_mutant_is_the_same_bytes_again():
    seeds = mutants.seeds()
    assert mutants.mutant(7, seeds) == mutants.mutant(7, mutants.seeds())
    kinds = {seed.kind for seed in seeds}
    assert len(kinds) > 15
    assert sum(mutants.mutant(n, seeds)[1] != seeds[n].content for n in range(40)) > 30
