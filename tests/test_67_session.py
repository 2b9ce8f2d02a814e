# Generated from nbs/6_tools/67_session.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
from rabit.core.trials import call
from rabit.data.data_commands import rabit_doctor
from rabit.data.data_commands import rabit_retrieve
from rabit.tools.use_commands import rabit_edit
from rabit.tools.use_commands import rabit_translate
from rabit.training.eval_commands import rabit_demo
from rabit.training.eval_commands import rabit_eval
from rabit.training.train_commands import rabit_train


def test_every_command_has_help_and_a_version():
    for f in (rabit_train, rabit_translate, rabit_edit, rabit_eval, rabit_retrieve, rabit_doctor, rabit_demo):
        code, out, err = call(f, "--help")
        assert code == 0 and out.startswith(f"usage: {f.__name__}") and err == ""
        assert call(f, "--version")[1].startswith("rabit ")
    print(call(rabit_translate, "--help")[1])
