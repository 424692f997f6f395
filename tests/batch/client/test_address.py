"""What may stand for a server, and what is said of anything else."""

import pytest

from batch.client.address import target_of
from exporter.command import UserError


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ("host", "host:8500"),
        ("host:9000", "host:9000"),
        ("[::1]", "[::1]:8500"),
        ("[::1]:9000", "[::1]:9000"),
        ("dns:///host:9000", "dns:///host:9000"),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1"),
        ("unix:/tmp/a b,c.sock", "unix:/tmp/a b,c.sock"),
        ("unix:///" + "x" * 106, "unix:///" + "x" * 106),
    ],
)
def test_addresses(named: str, target: str) -> None:
    """The port may be left out, names of gRPC's own pass."""
    assert target_of(named) == target


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("::1:8500", r"brackets around an IPv6 address, as in \[::1\]:8500$"),
        ("::1", r"as in \[::1\]:8500$"),
        ("fe80::1:9000", r"as in \[fe80::1\]:9000$"),
        ("2001:db8:0:0:0:0:0:1", r"as in \[2001:db8:0:0:0:0:0:1\]:8500$"),
        ("a,b", "a --server of its own; in DIGITS_SERVER put spaces"),
        ("a:8500,b:8500", "a --server of its own"),
        ("a:8500;b:8500", "a --server of its own"),
        ("a:8500, b:8500", "a --server of its own"),
        ("http://a:8501", "without http://"),
        ("unix:/" + "x" * 107, "has at most 107 bytes"),
    ],
)
def test_what_is_no_address(named: str, words: str) -> None:
    """Each mistake has its own sentence."""
    with pytest.raises(UserError, match=words):
        target_of(named)
