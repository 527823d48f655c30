# make demo: set up and compile DeepCalo, run it in the emulator and in the generated C++.
# make test: set up and run every check.
# make docs: set up and build the documentation as a site.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    := build/deepcalo_image_calocc

.PHONY: demo test check xrt lint format docs clean

demo: $(VENV)/.calocc
	$(BIN)/calocc examples/deepcalo/deepcalo_image.h5 -O2 -o $(OUT)
	$(BIN)/python examples/agree.py $(OUT) examples/deepcalo/test_data.npz

# Types are checked while the tests run, which leave processors idle at their ends.
test:
	$(MAKE) -j2 lint check

# Files in the order of tests/conftest.py, and not those of many tests first.
check: $(VENV)/.test xrt
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# The host library of a project is linked against XRT, of which the headers are enough. Without them
# the test of that fails and says so.
xrt:
	@test -e $${XILINX_XRT:-/usr/include/xrt}/$${XILINX_XRT:+include/}xrt/xrt_device.h || \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	        apt-get update -qq && apt-get install -qq -y --no-install-recommends libxrt-dev; \
	    else \
	        echo "XRT is missing: install libxrt-dev as root, or set XILINX_XRT" >&2; \
	    fi

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

format: $(VENV)/.test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.test
	$(BIN)/mkdocs build --strict
	@echo "open build/site/index.html, or run $(BIN)/mkdocs serve"

clean:
	rm -rf $(VENV) build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.calocc: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

# The tests compare with QKeras, hence the float reference.
$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,docs,explore,fuzz,reference,examples]'
	touch $@ $(VENV)/.calocc
