"""An issuer of JSON Web Tokens with real keys."""

import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from dbopsd.config import JwtConfig

ISSUER, AUDIENCE = "https://issuer.example/", "dbopsd"


class Issuer:
    """Signs with ES256 unless told otherwise. `jwks()` has the public keys."""

    def __init__(self, key_id: str = "key-1") -> None:
        self.key_id = key_id
        self.keys: dict[str, Any] = {"ES256": ec.generate_private_key(ec.SECP256R1())}

    def key(self, algorithm: str) -> Any:
        if algorithm not in self.keys:
            if algorithm == "EdDSA":
                self.keys[algorithm] = ed25519.Ed25519PrivateKey.generate()
            else:
                self.keys[algorithm] = rsa.generate_private_key(65537, 2048)
        return self.keys[algorithm]

    def key_id_of(self, algorithm: str) -> str:
        return self.key_id if algorithm == "ES256" else f"{self.key_id}-{algorithm}"

    def jwks(self) -> str:
        """The document as issuers publish it."""
        entries = []
        for algorithm, key in self.keys.items():
            made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
            entries.append({**made, "kid": self.key_id_of(algorithm), "use": "sig"})
        return json.dumps({"keys": entries})

    def sign(
        self,
        claims: Mapping[str, Any] | None = None,
        *,
        algorithm: str = "ES256",
        key: Any = None,
        headers: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        """A token that is good for a minute, but for what `claims` says."""
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": int(time.time()) + 60,
            "roles": ["VIEWER"],
            **(claims or {}),
        }
        for name in without:
            del content[name]
        return jwt.encode(
            content,
            key if key is not None else self.key(algorithm),
            algorithm=algorithm,
            headers=headers if headers is not None else {"kid": self.key_id_of(algorithm)},
        )


def jwt_config(jwks: str, **keys: Any) -> JwtConfig:
    return JwtConfig(
        **{"issuer": ISSUER, "audience": AUDIENCE, "jwks": jwks, "leeway_s": 0, **keys}
    )
