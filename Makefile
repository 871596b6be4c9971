# make demo    install the base package (no torch), screen real radiographs, print the report's path
# make test    install everything and run the tests
# make test-long   the fault tests in full: a run killed 100 times, 10,000 damaged files
# make test-viewers   install each viewer into an environment of its own, run the plugins' tests
# make test-pacs      DICOM results, privacy, the listener, DICOMweb, Orthanc and OHIF alone
# make test-but-pacs  the tests of make test that are not in make test-pacs
# make ohif    fetch the OHIF viewer for its tests: 50 MB, once
# make check   format, lint, layers, types
# make clean   remove what the others made
#
# PYTHON=/path/to/python3.12 make demo   chooses another Python than the first one found.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP_INSTALL = bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INPUTS = pyproject.toml constraints.txt

# the viewer that shows results; its npm package holds it built
OHIF = 3.13.2
OHIF_SHA512 = WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==

.PHONY: demo ohif test test-long test-pacs test-but-pacs test-viewers test-slicer test-trame test-napari check format clean

demo: .venv/installed
	rm -rf demo/screening
	.venv/bin/medcnn samples demo/samples
	.venv/bin/medcnn screen demo/samples --output demo/screening || test $$? -eq 8
	@echo "The report is a page for any browser:"
	@echo "$(CURDIR)/demo/screening/report.html"

# one file at a time in each of up to four processes, one thread each
test: .venv-test/installed
	OMP_NUM_THREADS=1 .venv-test/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(TESTS)

test-long: .venv-test/installed
	MEDCNN_KILLS=100 OMP_NUM_THREADS=1 .venv-test/bin/python -m pytest -q tests/test_screening_durable.py -k killed_at_random
	OMP_NUM_THREADS=1 .venv-test/bin/python benchmarks/mutants.py --count 10000

# make test runs these, too; .ci/run calls both of the following, so that each runs once
PACS_TESTS = $(wildcard $(addsuffix *.py,$(addprefix tests/,test_dicom_out test_deidentification test_pacs \
	test_privacy e2e/test_listen e2e/test_dicomweb e2e/test_orthanc e2e/test_ohif)))

test-pacs: .venv-test/installed
	@$(MAKE) -s ohif || echo "Tests with OHIF will be skipped." >&2
	$(MAKE) test TESTS="$(PACS_TESTS)"

test-but-pacs: .venv-test/installed
	$(MAKE) test TESTS="$(addprefix --ignore=,$(PACS_TESTS))"

ohif:
	@if command -v npm >/dev/null; then $(MAKE) -s .cache/ohif-$(OHIF)/fetched; \
	else echo "No npm here: the tests with OHIF will be skipped." >&2; fi

.cache/ohif-$(OHIF)/fetched:
	@mkdir -p $(@D)
	@echo "Fetching OHIF $(OHIF) (50 MB) ..."
	cd $(@D) && npm pack --loglevel=error @ohif/app@$(OHIF)
	@test "$$($(PYTHON) -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' \
		$(@D)/ohif-app-$(OHIF).tgz)" = "$(OHIF_SHA512)" || { echo "OHIF $(OHIF) is not the package that was looked at: its SHA-512 differs." >&2; exit 1; }
	tar -xzf $(@D)/ohif-app-$(OHIF).tgz -C $(@D) --exclude='*.map' --exclude=package/dist/ort package/dist
	@rm $(@D)/ohif-app-$(OHIF).tgz
	@touch $@

test-viewers: test-slicer test-trame test-napari
	@.venv-test/bin/python plugins/count_skips.py .pytest_cache/test-*.xml

# The worker runs in .venv-test, the viewers in environments of their own, without torch.
test-slicer test-trame: export MEDCNN_PYTHON = $(CURDIR)/.venv-test/bin/python
test-slicer: .venv-test/installed .venv-slicer/installed
	.venv-slicer/bin/python -m pytest --junit-xml=.pytest_cache/$@.xml plugins/slicer/tests

test-trame: .venv-test/installed .venv-trame/installed
	.venv-trame/bin/python -m pytest --junit-xml=.pytest_cache/$@-scene.xml \
		$(addprefix plugins/slicer/tests/test_,volumes.py heat.py charts.py contract.py)
	.venv-trame/bin/python -m pytest --junit-xml=.pytest_cache/$@.xml plugins/trame/tests

# The worker runs in .venv-test; a window needs a screen, or xvfb's.
test-napari: .venv-test/installed .venv-napari/installed
	MEDCNN_PYTHON=$(CURDIR)/.venv-test/bin/python $(shell command -v xvfb-run >/dev/null && echo xvfb-run -a) \
		.venv-napari/bin/python -m pytest -c plugins/napari/pyproject.toml \
		--junit-xml=$(CURDIR)/.pytest_cache/$@.xml plugins/napari/tests

check: .venv-test/installed
	.venv-test/bin/ruff format --check
	.venv-test/bin/ruff check
	.venv-test/bin/lint-imports --no-logo
	.venv-test/bin/mypy

format: .venv-test/installed
	.venv-test/bin/ruff format
	.venv-test/bin/ruff check --fix

clean:
	rm -rf .cache .venv .venv-test .venv-slicer .venv-trame .venv-napari demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.venv/installed: EXTRAS = samples
.venv-test/installed: EXTRAS = all,test,dev
.venv/installed .venv-test/installed: $(INPUTS)
	@test -n "$(PYTHON)" || { echo "medcnn needs Python 3.11 or newer, and none was found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "medcnn needs Python 3.11 or newer; $(PYTHON) is older or does not run." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing medcnn[$(EXTRAS)] into $(@D) ..."
	$(PYTHON) -m venv $(@D)
	$(@D)/$(PIP_INSTALL) hatchling editables
	$(@D)/$(PIP_INSTALL) --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

# Slicer's own classes want one VTK exactly, and the two viewers different ones.
.venv-slicer/installed: WANTED = slicer-core PySide6_Essentials nibabel pytest
.venv-slicer/installed: plugins/slicer/constraints.txt
.venv-trame/installed: WANTED = 'trame-slicer[standalone]' nibabel playwright pytest
.venv-trame/installed: plugins/trame/constraints.txt
.venv-slicer/installed .venv-trame/installed:
	@test -n "$(PYTHON)" || { echo "medcnn needs Python 3.11 or newer, and none was found." >&2; exit 1; }
	@echo "Installing into $(@D) ..."
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c $< $(WANTED)
	@touch $@

.venv-napari/installed: plugins/napari/constraints.txt plugins/napari/pyproject.toml
	@test -n "$(PYTHON)" || { echo "medcnn needs Python 3.11 or newer, and none was found." >&2; exit 1; }
	@echo "Installing napari into $(@D) ..."
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c $< napari PyQt6 qtpy pytest pytest-qt nibabel hatchling editables
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e plugins/napari
	@touch $@
