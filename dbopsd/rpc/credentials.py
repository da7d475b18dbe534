"""gRPC's TLS, with the certificate that is current whenever a client connects."""

import grpc

from dbopsd.security.tls import Tls, TlsMaterial


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials of a server, TLS 1.2 and up, that follow `tls`."""
    handed = tls.current

    def changed() -> grpc.ServerCertificateConfiguration | None:
        # In a thread of gRPC's, at each new connection: nothing is read here.
        nonlocal handed
        current = tls.current
        if current is handed:
            return None
        handed = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(handed),
        changed,  # type: ignore[arg-type]  # None is documented, for no change
        tls.demands_client_certificates,
    )


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], material.client_ca
    )
