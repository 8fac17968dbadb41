"""python expire.py CA_KEY CERTIFICATE NEW: the same certificate, signed again, but expired yesterday.

Not every openssl lets one choose the end of a certificate; Ansible's own library does.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

ca_key, certificate, new = map(Path, sys.argv[1:])
old = x509.load_pem_x509_certificate(certificate.read_bytes())
builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number())
builder = builder.not_valid_before(old.not_valid_before_utc - timedelta(days=9))
builder = builder.not_valid_after(datetime.now(UTC) - timedelta(days=1))
for extension in old.extensions:
    builder = builder.add_extension(extension.value, extension.critical)
key = serialization.load_pem_private_key(ca_key.read_bytes(), password=None)
new.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
