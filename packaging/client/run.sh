#!/usr/bin/env bash
# Runs the client tests: bin/detectd against the Python programs that people use
# beside it. Prints pytest's own summary and one line for all of them:
# "client: N passed, N failed, N skipped". Without PyPI all are skipped, loudly.
#
# DETECTD_TEST_DATA names a folder with models/ and coco/, see test_reference.py;
# what needs it is skipped without.
set -euo pipefail
cd "$(dirname "$0")/../.."

status=0
packaging/setup/python.sh packaging/client/requirements.txt || status=$?
if [ "$status" = 3 ]; then
    count=$(cat packaging/client/test_*.py | grep --count '^def test_')
    echo "client: 0 passed, 0 failed, $count skipped (PyPI not reachable)"
    exit 0
fi
[ "$status" = 0 ] || exit "$status"

report=build/client.xml
rm -f "$report"
build/venv/bin/python -B -m pytest -p no:cacheprovider -ra --junit-xml "$report" "$@" packaging/client || status=$?
build/venv/bin/python -B - "$report" <<'PY'
import sys
import xml.etree.ElementTree as tree

suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
count = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
failed = count["failures"] + count["errors"]
print(f"client: {count['tests'] - failed - count['skipped']} passed, {failed} failed, {count['skipped']} skipped")
PY
exit "$status"
