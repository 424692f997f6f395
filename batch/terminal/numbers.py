"""What a person sees at the end of a run that read fields of several digits."""

from rich.console import Console
from rich.table import Table

from batch.accuracy.number_tally import NumberTally
from batch.terminal.screen import print_notice


def print_number_accuracy(console: Console, tally: NumberTally) -> None:
    """Print how many fields are exact, in all and for each number of digits, and how many digits are wrong."""
    table = Table(title="against the truth", title_justify="left")
    for name in ("digits", "fields", "exact", "share", "95% interval", "digit error"):
        table.add_column(name, justify="right")
    for digits, count in sorted(tally.counts.items()):
        low, high = count.score.interval
        table.add_row(
            str(digits),
            f"{count.fields:,}",
            f"{count.exact:,}",
            f"{count.score.accuracy:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{count.digit_error_rate:.1%}",
        )
    console.print(table)
    total = tally.total
    wrong = total.fields - total.exact - total.errors
    counts = f"of {total.fields:,} fields {total.exact:,} exact, {wrong:,} wrong, {total.errors:,} with an error"
    print_notice(console, f"fields exact {total.score.describe()}: {counts}")
    wanted = f"of {total.digits:,} digits {total.digit_errors:,} to insert, remove or change"
    print_notice(console, f"digit error {total.digit_error_rate:.2%}: {wanted}")
    if tally.unlabelled:
        print_notice(console, f"without a label, not counted: {tally.unlabelled:,} files")
