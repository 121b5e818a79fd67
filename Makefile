# The doors. Each sets up what is missing first; `make demo` is the one to try.
MAKEFLAGS += --no-print-directory
.PHONY: demo run test soak check lock
PY = .venv/bin/python

demo:
	@./setup.sh run
	@VAR_DIR="$${VAR_DIR:-var/demo}" exec $(PY) manage.py demo

run:
	@./setup.sh run
	@exec $(PY) manage.py run

# SQLite first, then PostgreSQL. What touches no database (client, stand-in EM), the browser and the walks, which bring
# servers of their own, and the migration of old databases, which covers both engines, run once. Coverage is of both.
test:
	@./setup.sh test
	@rm -f .coverage .coverage.*
	$(PY) -m pytest -n 3 --dist worksteal --cov --cov-report=
	$(PY) -m tests.servers $(PY) -m pytest -n 2 --dist worksteal $(addprefix --ignore tests/,em emulator browser walk faults/test_processes.py models/test_migration.py) --cov --cov-append --cov-fail-under=95

# The same randomised tests at full size.
soak:
	@SOAK=1 $(MAKE) test

check:
	@./setup.sh test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	PYTHONPATH=. .venv/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	ALLOWED_HOSTS=reports.example.test TRUSTED_PROXY=127.0.0.1 $(PY) manage.py check --deploy --fail-level WARNING

# Compile pyproject's dependencies anew: universal, with hashes, without a registry address.
lock:
	@./setup.sh test
	.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11.2 pyproject.toml -o requirements.txt
	.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11.2 --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
