# The service in a container: docs/deployment.md, "In containers". `make test-image` builds and runs it.
#
#     docker build -t flash-sale:1.0.0 .
#
# It runs as a user without rights, and writes nothing: start it with a read-only root file system. On the embedded
# database, for a trial, /var/lib/seckill has to be writable.

FROM debian:trixie-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
# hatchling builds the package. Debian signs it; pip would fetch one without a hash.
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv python3-pip python3-hatchling
WORKDIR /build
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt ./
COPY requirements/traces.txt requirements/
RUN python3 -m venv --without-pip /opt/seckill \
    && python3 -m pip --python /opt/seckill/bin/python install --no-cache-dir --require-hashes -r "$REQUIREMENTS"
COPY . .
RUN python3 -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python3 -m pip --python /opt/seckill/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /opt/seckill/bin/python -m compileall -q -j 0 /opt/seckill/lib

FROM base
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/seckill --shell /usr/sbin/nologin seckill \
    && install -d -o seckill -g seckill -m 700 /var/lib/seckill
COPY --from=build /opt/seckill /opt/seckill
ENV PATH=/opt/seckill/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    SECKILL_INSTANCE=/var/lib/seckill
# A number, so that Kubernetes can tell that it is not root.
USER 10001
WORKDIR /var/lib/seckill
EXPOSE 8000
# The supervisor is process 1: SIGTERM lets it drain. docs/deployment.md, "Stop", says for how long.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "seckill.healthcheck"]
ENTRYPOINT ["seckill"]
CMD ["serve"]
