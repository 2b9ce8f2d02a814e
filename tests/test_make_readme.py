"""The maker of README.md: what it keeps, what it rewrites, what it refuses."""
import importlib.util, json
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / ".ci/make_readme.py"
spec = importlib.util.spec_from_file_location("make_readme", SCRIPT)
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)

CELLS = [dict(cell_type="raw", source="---\ntitle: x\n---"),
         dict(cell_type="markdown", source='# rabit\n\n![teaser](../data/images/teaser.png) '
              '[topk](04_topk.ipynb#use) [net](https://a.b/../c)\n\n```\n[x](../y)\n```'),
         dict(cell_type="code", source="#| hide\nsecret = 1", outputs=[]),
         dict(cell_type="code", source="#| eval: true\n1 + 1",
              outputs=[dict(output_type="stream", name="stdout", text=["a\n", "b\n"]),
                       dict(output_type="execute_result", data={"text/plain": ["2"]}),
                       dict(output_type="display_data",
                            data={"image/png": "x", "text/plain": ["<Figure>"]})])]
TEXT = (maker.NOTE + "\n\n# rabit\n\n![teaser](data/images/teaser.png) [topk](nbs/04_topk.ipynb#use) "
        "[net](https://a.b/../c)\n\n```\n[x](../y)\n```\n\n" "```python\n1 + 1\n```\n\n    a\n    b\n    2\n")


def project(root):
    (root / "nbs").mkdir()
    (root / "nbs/index.ipynb").write_text(json.dumps(dict(cells=CELLS)))
    return ["--root", str(root)]


def test_readme_is_markdown_code_and_text_outputs(tmp_path):
    assert maker.main(project(tmp_path)) == 0
    assert (tmp_path / "README.md").read_text() == TEXT


def test_check_sees_a_stale_file_and_a_broken_link(tmp_path, capsys):
    root = project(tmp_path)
    assert maker.main(["--check", *root]) == 1 and not (tmp_path / "README.md").exists()
    maker.main(root)
    capsys.readouterr()
    assert maker.main(["--check", *root]) == 1
    assert "links to data/images/teaser.png, which does not exist" in capsys.readouterr().err
    for name in ("data/images/teaser.png", "nbs/04_topk.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert maker.main(["--check", *root]) == 0
    (tmp_path / "README.md").write_text(TEXT + "more\n")
    assert maker.main(["--check", *root]) == 1 and "Mend" in capsys.readouterr().err
