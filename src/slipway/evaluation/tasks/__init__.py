"""Own tasks, one small file each, all described as `task.Task`; `likelihood` and `choice` are the two kinds of asking.

A file holds what makes its task special, how items come out of the test split or a file; the kind scores them, and
`slipway.evaluation.summary` turns their rows of the item table into a report. To add one, write such a file and name it
in `slipway.evaluation.report.OWN`, or bring it as a task file or as a YAML of lm-evaluation-harness: see
docs/evaluation.md.
"""
