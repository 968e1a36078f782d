#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""metrics.py FILE [DASHBOARD]: check a response to GET /metrics, strictly: the text format
of Prometheus, its conventions for names, and that the figures fit together. With a
dashboard of Grafana, that each metric which it shows exists."""
import json
import re
import sys

NAME = r"[a-z][a-z0-9_]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{({NAME}="[^"\\\n]*"(?:,{NAME}="[^"\\\n]*")*)\}})? (\S+)')
UNITS = ("_total", "_seconds", "_bytes", "_ratio", "_info", "_fds")
NO_UNIT = {"nst_tasks", "nst_queue_depth", "nst_http_connections"}


def parse(text):
    """The families, by name: type, and samples as (name, labels, value)."""
    assert text.endswith("\n"), "the last line has no end"
    families, current, seen = {}, None, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert name not in families and help_text.endswith("."), line
            current = families[name] = {"type": None, "samples": []}
            continue
        if line.startswith("# TYPE "):
            of, kind = line[7:].split(" ")
            assert of == name and not current["samples"] and current["type"] is None, line
            assert kind in ("counter", "gauge", "histogram"), line
            current["type"] = kind
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"not a sample: {line!r}"
        sample, labels, value = match.groups()
        ends = ("_bucket", "_sum", "_count") if current["type"] == "histogram" else ("",)
        assert sample in [name + end for end in ends], f"{line!r} does not belong to {name}"
        labels = dict(re.findall(rf'({NAME})="([^"]*)"', labels or ""))
        key = (sample, tuple(sorted(labels.items())))
        assert key not in seen, f"twice: {line!r}"
        seen.add(key)
        assert float(value) >= 0, line
        current["samples"].append((sample, labels, float(value)))
    return families


def check_names(families):
    for name, family in families.items():
        assert family["samples"], f"{name} has no sample"
        assert name.startswith(("nst_", "process_")), name
        assert name in NO_UNIT or name.endswith(UNITS), f"{name} has no unit"
        assert (family["type"] == "counter") == name.endswith("_total"), name


def check_histogram(name, samples):
    groups = {}
    for sample, labels, value in samples:
        le = labels.pop("le", None)
        group = groups.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if sample.endswith("_bucket"):
            group["buckets"].append((float(le), value))
        else:
            group[sample[len(name):]] = value
    for labels, group in groups.items():
        bounds = [bound for bound, _ in group["buckets"]]
        counts = [count for _, count in group["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), (name, labels)
        assert counts == sorted(counts) and counts[-1] == group["_count"], (name, labels)
        # the sum is at least what the lower bounds of the buckets add up to
        low = sum((after - before) * bound for bound, before, after in
                  zip(bounds, counts, counts[1:]))
        assert low * 0.999 - 1e-5 * counts[-1] <= group["_sum"], (name, labels, low, group)
        assert counts[-1] or group["_sum"] == 0, (name, labels)
    return sum(group["_count"] for group in groups.values())


def total(families, name, **labels):
    return sum(value for _, own, value in families[name]["samples"]
               if labels.items() <= own.items())


def check(text):
    families = parse(text)
    check_names(families)
    counts = {name: check_histogram(name, family["samples"])
              for name, family in families.items() if family["type"] == "histogram"}
    requests = total(families, "nst_http_requests_total")
    assert counts["nst_http_request_duration_seconds"] == requests, counts
    failures = total(families, "nst_http_failures_total")
    assert total(families, "nst_http_rejected_total") == failures
    assert failures == (total(families, "nst_http_requests_total", code="4xx") +
                        total(families, "nst_http_requests_total", code="5xx"))
    return families


def check_dashboard(families, path):
    with open(path, encoding="utf-8") as f:
        dashboard = json.load(f)
    names = {sample for family in families.values() for sample, _, _ in family["samples"]}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    expressions = [target["expr"] for panel in dashboard["panels"]
                   for target in panel.get("targets", [])]
    expressions += [variable["query"]["query"] for variable in dashboard["templating"]["list"]
                    if variable["type"] == "query"]
    shown = set(re.findall(r"\b(?:nst|process)_[a-z_]+", " ".join(expressions)))
    assert len(shown) > 20, shown
    assert shown <= names, f"not in /metrics: {shown - names}"
    for expression in expressions:
        for name, labels in re.findall(r"\b((?:nst|process)_[a-z_]+)\{([^}]*)\}", expression):
            known = {label for family in families.values()
                     for sample, own, _ in family["samples"] if sample == name for label in own}
            used = set(re.findall(rf"({NAME})[=!]", labels)) - {"instance", "job"}
            assert used <= known, f"{name} has no label {used - known}"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as answer:
        result = check(answer.read())
    if len(sys.argv) > 2:
        check_dashboard(result, sys.argv[2])
