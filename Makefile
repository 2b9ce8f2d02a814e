# make demo | test | compare | bench | bench-train | notebooks | docs | lab | clean.  PYTHON=... chooses the interpreter that .venv is made with.
.DEFAULT_GOAL := help
.PHONY: help setup demo test compare bench bench-train notebooks docs lab clean
BIN := .venv/bin

help:
	@echo "make demo   train a small model on street scenes, evaluate it, write outputs/demo.png and outputs/demo.md (about ten minutes)"
	@echo "make test   library, tests and README are what the notebooks say; lint, types, every notebook, all tests (about fifteen minutes; ARGS=--quick about two)"
	@echo "make compare   train five models and RABIT's ablations, three seeds each; tables and images in outputs/compare/ (under 45 minutes on two cores; goes on where it was stopped)"
	@echo "make bench   how fast every form of matching is on this machine, its memory, its growth and the floor (about ten minutes; ARGS=--quick under three)"
	@echo "make bench-train   how fast training is on this machine, where a step's time goes, what bf16 gives, and the largest batch that fits (a few minutes; ARGS='--against FOLDER' trains another version in turn with this one)"
	@echo "make notebooks   run every notebook again and store its figures"
	@echo "make docs   web pages of the notebooks into _docs/"
	@echo "make lab    JupyterLab in nbs/"
	@echo "make clean  remove what the other targets built (keeps .venv and what demo and training wrote)"

setup:
	@PYTHON="$(PYTHON)" .ci/setup

demo: setup
	@echo "== Demo: condition and exemplar become an image"
	@$(BIN)/rabit_demo --out outputs
	@echo "Done. Look at outputs/demo.png, outputs/shipped*.png and outputs/demo.md"

test: setup
	@$(BIN)/python .ci/check.py $(ARGS)

compare: setup
	@echo "== Compare: five models and the ablations of RABIT on the same scenes"
	@$(BIN)/rabit_compare --out outputs/compare $(ARGS)

bench: setup
	@echo "== Bench: matching on this machine"
	@$(BIN)/rabit_speed --json outputs/bench.json $(ARGS)
	@echo "The numbers are in outputs/bench.json"

bench-train: setup
	@echo "== Bench: training on this machine"
	@$(BIN)/rabit_bench --json outputs/bench-train.json $(ARGS)
	@echo "The numbers are in outputs/bench-train.json"

notebooks: setup
	@$(BIN)/python .ci/run_notebooks.py

docs: setup
	@$(BIN)/python .ci/make_docs.py

lab: setup
	@cd nbs && ../$(BIN)/jupyter lab

clean:
	@rm -rf _proc _docs build dist *.egg-info .pytest_cache .hypothesis outputs/test
	@find rabit tests nbs .ci -name __pycache__ -prune -exec rm -rf {} + -o -name .ipynb_checkpoints -prune -exec rm -rf {} +
	@echo "Clean."
