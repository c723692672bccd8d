"""Signatures with a public key: elliptic curves, and RSA with a certificate."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hubbub.errors import ForgedError

_ARMOUR = re.compile(r"-----[^-]*-----")
HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}


def is_curve_key(text: str) -> bool:
    """Say whether a text is a public key of an elliptic curve, DER in base64 or PEM."""
    try:
        _curve_key(text)
    except ValueError:
        return False
    return True


def _curve_key(text: str) -> ec.EllipticCurvePublicKey:
    """Return a key from DER in base64 or PEM. Raises ValueError."""
    key = load_der_public_key(base64.b64decode("".join(_ARMOUR.sub("", text).split())))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("a key of another kind")
    return key


def check_curve(public_key: str, signature: str, signed: bytes) -> None:
    """Raise ForgedError unless a base64 ECDSA signature (SHA-256) of some bytes fits the key, DER in base64 or PEM."""
    if not signature:
        raise ForgedError(reason="no_signature")
    try:
        key = _curve_key(public_key)
        key.verify(base64.b64decode(signature, validate=True), signed, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        raise ForgedError(reason="bad_signature") from None


def check_rsa(key: RSAPublicKey, signature: str, signed: bytes, digest: str) -> None:
    """Raise ForgedError unless a base64 RSA signature (PKCS #1 v1.5) of some bytes fits the key; `digest`: one of HASHES."""
    try:
        key.verify(base64.b64decode(signature, validate=True), signed, padding.PKCS1v15(), HASHES[digest])
    except (ValueError, InvalidSignature):
        raise ForgedError(reason="bad_signature") from None


def rsa_key(certificate: bytes) -> RSAPublicKey:
    """Return the key of an RSA certificate (PEM). Raises ForgedError."""
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        raise ForgedError(reason="bad_signature") from None
    if not isinstance(key, RSAPublicKey):
        raise ForgedError(reason="bad_signature")
    return key
