# Each target makes the virtual environment first when it is missing or older than the lock file.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RELEASE := _build/release
CALLED = echo "aifr is in $(BIN): \`make shell\` opens a shell that finds it, \`source $(BIN)/activate\` tells this one"

.PHONY: book pdf test pythons smoke lab shell lint bench notebooks release clean help

help:            ## what each target does
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

book: $(STAMP)   ## set up, run the notebooks on committed results, build the book
	$(BIN)/python book/build.py
	@$(CALLED)

pdf: book        ## the whole book as one file, _build/book.pdf (needs Chromium)
	$(BIN)/python book/pdf.py

test: $(STAMP)   ## the whole suite, the built book in a browser included
	$(BIN)/python -m pytest tests -n 2 --dist loadfile

pythons: $(STAMP) ## the light wheel under each other Python that is here, and with its oldest packages: commands, tests without torch
	$(BIN)/python tests/pythons.py

smoke: $(STAMP)  ## every notebook from scratch at smoke size
	$(BIN)/aifr reproduce --preset smoke --fresh

lab: $(STAMP)    ## JupyterLab on working copies of the notebooks in lab/, which are never overwritten
	@$(CALLED)
	$(BIN)/aifr lab

shell: $(STAMP)  ## a shell in which aifr, python and jupyter are found
	@PATH="$(abspath $(BIN)):$$PATH" VIRTUAL_ENV="$(abspath $(VENV))" "$${SHELL:-bash}"

lint: $(STAMP)   ## ruff, mypy, import-linter
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(STAMP)  ## speed, as ratios against a plain reference in the same run
	for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

notebooks: $(STAMP) ## derive each notebooks/NAME.ipynb from its script
	$(BIN)/aifr notebooks

release: $(STAMP) ## dist/: the wheel, the same bytes in two builds, and what it was tested with (CycloneDX), with checksums
	rm -rf dist build $(RELEASE) && mkdir -p dist
	for build in one two; do rm -rf build && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m pip wheel \
		--quiet --no-deps --no-build-isolation --wheel-dir $(RELEASE)/$$build . || exit 1; done
	cmp $(RELEASE)/one/*.whl $(RELEASE)/two/*.whl && cp $(RELEASE)/one/*.whl dist/
	$(BIN)/python -m venv $(RELEASE)/tools && $(RELEASE)/tools/bin/python -m pip install --quiet cyclonedx-bom==7.5.0
	$(RELEASE)/tools/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
		--output-file dist/aifr_lib.cdx.json requirements.lock
	cd dist && sha256sum *.whl *.json | tee SHA256SUMS

clean:           ## remove what was built; results, caches, the environment and your lab/ stay
	rm -rf _build build dist book/_executed book/_live

$(STAMP): requirements.lock requirements-alone.txt pyproject.toml
	test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -r requirements-alone.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
