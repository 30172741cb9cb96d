.PHONY: help setup run check test bench schema lock up down
PY := .venv/bin

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## everything for development, without starting anything
	@sh -c '. scripts/setup.sh; setup requirements/dev.lock'

run: ## set up and start the whole system
	@scripts/run

check: ## lint, types, import rules, sizes, spelling
	$(PY)/ruff check .
	$(PY)/ruff format --check .
	$(PY)/pyright
	$(PY)/lint-imports
	$(PY)/codespell
	$(PY)/python -m pytest -q tests/architecture

test: ## every test that this machine can run
	@scripts/test

bench: ## figures as JSON, each beside a floor from the same run
	$(PY)/python -m benchmarks

schema: ## write docs/schema and the table of settings from the code
	$(PY)/python scripts/export_schema.py
	$(PY)/python scripts/export_settings.py

lock: ## lock all dependencies again
	scripts/lock

up: ## the cluster in containers
	docker compose up --build --detach --wait --scale worker=3

down: ## stop the cluster and forget its data
	docker compose down --volumes
