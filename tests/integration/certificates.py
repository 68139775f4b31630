"""Certificates for tests: an authority, servers, clients, made with `cryptography`."""
import datetime
import hashlib
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now():
    """The time, as certificates have it."""
    return datetime.datetime.now(datetime.timezone.utc)


class Pair:
    """A certificate with its key, and the authority that signed it (None: itself)."""

    def __init__(self, name, issuer=None, *, authority=False, client=False, begin=-1, days=30, rsa_bits=0, names=()):
        self.name = name
        self.issuer = issuer
        self.key = rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        alternatives = [x509.DNSName(n) for n in names] or alternatives
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        self.end = now() + days * DAY
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() + begin * DAY)
            .not_valid_after(self.end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        self.certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())

    def pem(self):
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password=None):
        """The private key, PKCS#8."""
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)

    def pkcs12(self, password):
        """Both, and the authority's certificate."""
        others = [self.issuer.certificate] if self.issuer else None
        how = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(b"signer", self.key, self.certificate, others, how)

    def fingerprint(self):
        """SHA-256 as OpenSSL prints it: AA:BB:..."""
        digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        return ":".join(digest[i : i + 2] for i in range(0, 64, 2))

    def serial(self):
        """What tells one certificate from another."""
        return self.certificate.serial_number

    def secret(self):
        """The 32 bytes that nobody may find (an EC key's)."""
        return self.key.private_numbers().private_value.to_bytes(32, "big")

    def write(self, folder, stem):
        """stem.crt and stem.key in `folder`; returns the two paths."""
        crt, key = folder / f"{stem}.crt", folder / f"{stem}.key"
        replace(crt, self.pem())
        replace(key, self.key_pem(), 0o600)
        return crt, key


def replace(path, content, mode=0o644):
    """Another file in the place of `path`, as tools that renew certificates do it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
    fresh.chmod(mode)
    fresh.rename(path)
