"""What errors call the settings that the user can change: a command's flags, or the arguments of `Client`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """How the settings of calls are called.

    Attributes:
        server: one address.
        several: how to give more than one.
        model: what chooses among models, versions and labels.
        signature: what chooses among signatures.
        numbers: what reads fields of several digits.
        tls: what encrypts; the authorities' file may be meant, too.
        plain: what not to give, for calls that are not encrypted.
        ca: the authorities that the server's certificate is checked against.
        certificate: our own.
        key: of our own certificate.
        metadata: sent with each call.
    """

    server: str
    several: str
    model: str
    signature: str
    numbers: str
    tls: str
    plain: str
    ca: str
    certificate: str
    key: str
    metadata: str


FLAGS = Naming(
    server="--server",
    several="each address with a --server of its own; in DIGITS_SERVER put spaces between them",
    model="--model, --model-version or --model-label",
    signature="--signature",
    numbers="digits-batch --read numbers",
    tls="--tls-ca FILE, or --tls",
    plain="--tls and --tls-ca",
    ca="--tls-ca",
    certificate="--tls-cert",
    key="--tls-key",
    metadata="--metadata",
)

ARGUMENTS = Naming(
    server="server",
    several="each address as an argument of its own",
    model="model, version or label",
    signature="signature",
    numbers="predict_numbers",
    tls="security with ca, or with tls=True",
    plain="tls and ca in security",
    ca="ca",
    certificate="certificate",
    key="key",
    metadata="metadata",
)
