# Generated from nbs/8_comparison/82a_versions.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import pytest
from rabit.comparison.versions import versions_in_turn
from rabit.core.trials import fails


@pytest.mark.slow
def test_versions_take_turns_and_one_that_cannot_start_is_named():
    tiny = dict(size=(32, 32))
    found = versions_in_turn(dict(a=(None, tiny), b=(None, tiny | dict(batch=4))), "tiny", 1)
    assert list(found) == ["a", "b"] and all(s > 0 for times in found.values() for s in times)
    said = fails(versions_in_turn, dict(b=(None, dict(batch=0))), "tiny", 1)
    assert said == "b ended before its step 1"
