# The server with what converts recordings (PyAV), as user 10001, on a root file system that may be read-only:
# only /var/lib/tether (TETHER_DATA_DIR) and /tmp are written. See docs/containers.md.

FROM debian:trixie-slim AS build
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates npm python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY static/.npmrc static/package.json static/package-lock.json static/vendor.mjs static/
RUN npm ci --prefix static --omit=dev --loglevel=error && npm run --prefix static --silent vendor
COPY . .
# The versions that were tested, also of what builds the wheel. pip compiles the modules, so that nothing is written later.
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/tether \
 && /opt/tether/bin/pip wheel --quiet --no-deps --wheel-dir /dist . \
 && /opt/tether/bin/pip install --quiet "$(echo /dist/tether_rt-*.whl)[media]" \
 && /opt/tether/bin/pip uninstall --quiet --yes pip

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent tether \
 && install -d -o tether -g tether -m 0700 /var/lib/tether
COPY --from=build /opt/tether /opt/tether
ENV PATH=/opt/tether/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TETHER_HOST=0.0.0.0 \
    TETHER_DATA_DIR=/var/lib/tether
USER 10001:10001
EXPOSE 2212
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-Ic", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('TETHER_PORT') or 2212}/healthz\", timeout=4)"]
ENTRYPOINT ["tether-rt"]
CMD ["serve"]
