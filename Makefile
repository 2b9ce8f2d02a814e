# make demo | test | notebooks | docs | lab | clean.  PYTHON=... chooses the interpreter that .venv is made with.
.DEFAULT_GOAL := help
.PHONY: help demo test notebooks docs lab clean
BIN := .venv/bin
STAMP := .venv/.installed
fits = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do if $$p $(fits) >/dev/null 2>&1; then echo $$p; break; fi; done)

help:
	@echo "make demo   train a small model on street scenes, evaluate it, write outputs/demo.png and outputs/demo.md (about ten minutes)"
	@echo "make test   export, notebooks, generated tests and README are in step; run every notebook and all tests (under twenty minutes)"
	@echo "make notebooks   run every notebook again and store its figures"
	@echo "make docs   web pages of the notebooks into _docs/"
	@echo "make lab    JupyterLab in nbs/"
	@echo "make clean  remove what the other targets built (keeps .venv and what demo and training wrote)"

$(STAMP): settings.ini setup.py constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found (constraints.txt pins versions for these). Install one, or: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) $(fits) || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13, for which constraints.txt pins versions."; exit 1; }
	@echo "== Setting up .venv with $(PYTHON) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)."; rm -rf .venv; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "   .venv is ready"

demo: $(STAMP)
	@echo "== Demo: condition and exemplar become a picture"
	@$(BIN)/rabit_demo --out outputs
	@echo "Done. Look at outputs/demo.png and outputs/demo.md"

test: $(STAMP)
	@$(BIN)/python .ci/check.py

notebooks: $(STAMP)
	@$(BIN)/python .ci/run_notebooks.py

docs: $(STAMP)
	@$(BIN)/python .ci/make_docs.py

lab: $(STAMP)
	@cd nbs && ../$(BIN)/jupyter lab

clean:
	@rm -rf _proc _docs build dist *.egg-info .pytest_cache .hypothesis outputs/test
	@find rabit tests nbs .ci -name __pycache__ -prune -exec rm -rf {} + -o -name .ipynb_checkpoints -prune -exec rm -rf {} +
	@echo "Clean."
