#!/usr/bin/env bash
# Runs the Go tests, prints one line for each package and the output of those
# that fail, and closes with the sum: "NAME: N passed, N failed, N skipped".
#
#   go-test.sh NAME [FLAG OF go test]...
set -euo pipefail
cd "$(dirname "$0")/../.."

name=$1
shift

# The tests in pipeline/rules read all of the repository, which Go's cache of
# test results does not see.
run() {
    local rules=detectd/pipeline/rules failed=0
    go test -json -count=1 "$rules" || failed=1
    go list ./... | grep --invert-match --line-regexp "$rules" | xargs go test -json "$@" || failed=1
    return $failed
}

run "$@" | awk -v name="$name" '
function field(key) {
    return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : ""
}
function output(text) {
    text = substr($0, index($0, "\"Output\":\"") + 10)
    sub(/"}$/, "", text)
    gsub(/\\\\/, "\001", text)
    gsub(/\\n/, "\n", text)
    gsub(/\\t/, "\t", text)
    gsub(/\\"/, "\"", text)
    gsub(/\\u003c/, "<", text)
    gsub(/\\u003e/, ">", text)
    gsub(/\\u0026/, "\\&", text)
    gsub(/\001/, "\\", text)
    return text
}
# finish prints what the package has said from a line on, and forgets it all.
function finish(from, i) {
    for (i = 1; i <= lines[package]; i++) {
        if (i >= from && said[package, i] !~ /^ *(=== |--- PASS)/) printf "%s", said[package, i]
        delete said[package, i]
    }
    lines[package] = 0
    fflush()
}
!/^{/ { print; next }
{ action = field("Action"); package = field("Package"); test = field("Test") }
action == "build-output" { printf "%s", output() }
action == "output" { said[package, ++lines[package]] = output() }
test != "" && (action == "pass" || action == "fail" || action == "skip") {
    count[action]++
    if (action == "fail") broken[package] = 1
}
test == "" && (action == "pass" || action == "skip") { finish(lines[package]) }
test == "" && action == "fail" {
    finish(1)
    if (!broken[package]) count["fail"]++ # it did not build, or ended early
}
END { printf "%s: %d passed, %d failed, %d skipped\n", name, count["pass"], count["fail"], count["skip"] }
'
