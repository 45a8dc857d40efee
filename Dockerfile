# One image for every role: arguments are those of the gateway (--role, --config, --migrate …).
#
#   docker build --tag aigateway .
#
# The Node that is shipped is the one that package-lock.json names, by hash. BUILD_IMAGE only has to hold Debian, npm and a Node
# that npm runs on; its shared libraries and certificates are shipped too.
ARG BUILD_IMAGE=node:26-trixie-slim

FROM ${BUILD_IMAGE} AS build
# Debian keeps one version of a package at a time, so a pinned one would end the build with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates libatomic1 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY contract/package.json contract/
COPY proxy/package.json proxy/
COPY control-plane/package.json control-plane/
COPY gateway/package.json gateway/
COPY smoke/package.json smoke/
RUN npm ci --include=dev --include=optional
COPY . .
RUN npm run build && scripts/image/root-file-system.sh /image && mkdir /owned && mkdir -m 700 /owned/data

# The simulated Azure of compose.yaml; no part of the product's image.
FROM build AS simulator
USER 65532:65532
EXPOSE 9100
ENTRYPOINT ["/src/node_modules/.bin/node", "/src/smoke/simulator/main.ts"]

FROM scratch
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="PVC AI Gateway" \
  org.opencontainers.image.description="OpenAI-compatible gateway in front of Azure OpenAI and Azure AI Foundry" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.source="${SOURCE}"
COPY --from=build /image/ /
# Where secrets of development, the SQLite store, the spool and the last snapshot are; all else may be read-only.
COPY --from=build --chown=65532:65532 /owned/ /
ENV AIGATEWAY_DATA_DIR=/data
# Which of two revisions has answered shows in x-litellm-version.
ENV AIGATEWAY_REVISION=${REVISION}
VOLUME ["/data"]
WORKDIR /app
USER 65532:65532
EXPOSE 8080 9090
# The flags are nodeFlags of scripts/project-node.mjs. No HEALTHCHECK: it would start a second Node in the container's memory every
# few seconds, and Kubernetes and Container Apps have probes.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=8", "--no-memory-reducer", "--no-concurrent-recompilation", "/app/gateway.mjs"]
