"""A run: the jobs of one or more commands, their rows, and what is measured again because it looks slower."""

import sys

from tqdm import tqdm

from . import compare, peers, report, stats

#: how often a row that looks slower than the older file's is measured again
RETRIES = 2


class Session:
    def __init__(self, about, path=None):
        self.about, self.path = about, path
        self.rows, self.refused = [], False
        self._jobs = {}

    def run(self, todo):
        """Run (command, job) pairs under a bar that says how much is left; the file grows with every row."""
        with tqdm(todo, unit="case", disable=None, smoothing=0.1) as bar:
            for command, job in bar:
                bar.set_postfix_str(job.label)
                row = self._measure(command, job)
                if row is not None:
                    self.rows.append(row)
                    self._jobs[row["key"]] = command, job
                    bar.write(report.brief(row))
                    self.save()

    def _measure(self, command, job):
        threads = self.about["threads"]
        key = f"{command}: {job.label}, {report.threads_text(threads)}"
        try:
            row = job.run()
        except peers.Disagreement as error:
            print(f"refused: {error}", file=sys.stderr)
            self.refused = True
            return None
        return {"command": command, "key": key, "label": job.label, "threads": threads} | row

    def save(self):
        if self.path:
            report.save(self.path, self.about, self.rows)

    def confirm(self, old):
        """Measure what looks slower than in `old` again; a row counts as slower only if it is so each time."""
        for _ in range(RETRIES):
            slow = {c.key for c in compare.changes(old["rows"], self.rows) if c.worse}
            for at, row in enumerate(self.rows):
                if row["key"] in slow:
                    print(f"again, it looks slower: {row['label']}", file=sys.stderr)
                    other = self._measure(*self._jobs[row["key"]])
                    self.rows[at] = faster(row, other) if other else row
        self.save()


def faster(row, other):
    """The one of two measurements of a case in which our first name took less time; a fit one before an unfit one."""
    if row.get("fit", True) != other.get("fit", True):
        return row if row.get("fit", True) else other
    name = next((n for n in row.get("seconds", ()) if n.startswith("fastrnn")), None)
    if name is None:
        return other
    return min(row, other, key=lambda each: stats.median(each, name))
