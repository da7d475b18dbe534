# The daemon with PostgreSQL 18's client tools, as a non-root user. There is no embedded server: configure [databases.…].
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/dbopsd && python -m venv /opt/build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN /opt/dbopsd/bin/pip install --require-hashes --requirement requirements/runtime.txt \
 && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt
COPY LICENSE README.md pyproject.toml ./
COPY clients/python clients/python
COPY dbopsd dbopsd
# An isolated build would download the newest hatchling instead of the locked one.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels ./clients/python . \
 && /opt/dbopsd/bin/pip install --no-deps --no-index wheels/*.whl

FROM python:${PYTHON}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# PostgreSQL's package archive has version 18; Debian 12 has only 15.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
 && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
 && apt-get install -y --no-install-recommends postgresql-client-18 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/dbopsd --create-home dbopsd
COPY --from=build /opt/dbopsd /opt/dbopsd
ENV PATH=/opt/dbopsd/bin:/usr/lib/postgresql/18/bin:$PATH \
    DBOPSD_SERVER__STATE_DIR=/var/lib/dbopsd
USER 10001
VOLUME /var/lib/dbopsd
EXPOSE 50051 8080
# `serve` stops on SIGTERM, the signal that stops a container.
ENTRYPOINT ["dbopsd"]
CMD ["serve"]
