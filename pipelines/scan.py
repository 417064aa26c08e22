"""Stage `scan`: judge exactly the bytes that would be published.

Findings do not fail the stage: they are its result, and the gate refuses a bundle that has one.
"""

from pipelines.frame import Frame, run
from slipway.records import ScanReport
from slipway.scan.isolation import Task, judge


def main(frame: Frame) -> ScanReport:
    """Scan `bundle/`, in a process of its own, and print what was found."""
    digest = frame.report("bundle").bundle_digest
    task = Task(frame.root / "bundle", frame.settings.max_file_bytes, digest)
    report = judge([task], frame.progress)[0]
    for finding in report.findings:
        at = "" if finding.offset is None else f" at byte {finding.offset}"
        print(f"REFUSE {finding.rule}: {finding.path}{at}: {finding.reason}. To do: {finding.remedy}", flush=True)
    print(f"{report.files_scanned} files scanned, {len(report.findings)} findings", flush=True)
    return report


if __name__ == "__main__":
    run("scan", main)
