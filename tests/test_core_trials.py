# Generated from nbs/0_core/08_trials.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
from rabit.core.tensors import check_size
from rabit.core.trials import call
from rabit.core.trials import fails


def test_a_refusal_is_returned_as_text_and_what_is_accepted_fails():
    print(fails(check_size, (0, 8)))
    assert "0" in fails(check_size, (0, 8))
    try: fails(check_size, (8, 8))
    except AssertionError as e: assert "check_size accepted" in str(e)
    else: assert False


def test_a_command_is_its_exit_code_and_what_it_says():
    from rabit.core.commands import command
    @command
    def double(
        number:int,  # what is doubled
    ):
        "Print twice a number"
        print(2 * number)
    assert call(double, 4) == (0, "8\n", "")
    code, out, err = call(double, "four")
    assert code == 2 and out == "" and err.startswith("double: ") and err.count("\n") == 1
