# What the server needs beside its bundle: neither dev nor peer, for effect is in the bundle.
FROM node:24-slim AS dependencies
WORKDIR /opt/presently
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=peer --ignore-scripts --no-audit --no-fund

FROM node:24-slim AS build
WORKDIR /opt/presently
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY build ./build
COPY src ./src
RUN npm run build

FROM node:24-slim
ENV NODE_ENV=production
# short collections of garbage: docs/operating.md, "Pauses"
ENV NODE_OPTIONS=--max-semi-space-size=8
WORKDIR /opt/presently
COPY package.json LICENSE ./
COPY bin ./bin
COPY migrations ./migrations
COPY --from=dependencies /opt/presently/node_modules ./node_modules
COPY --from=build /opt/presently/dist ./dist
# for the embedded database under a user id that /etc/passwd does not know: docs/operating.md, "The embedded database"
RUN apt-get update && apt-get install -y --no-install-recommends libnss-wrapper && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /var/lib/presently && chown node:node /var/lib/presently
USER node
# relative paths of the configuration, such as `data: log`, are here
WORKDIR /var/lib/presently
VOLUME /var/lib/presently
EXPOSE 5060/udp 5060/tcp 5080/tcp
# the management port must be where it is by default, or at least on 127.0.0.1:5080, by HTTP or HTTPS
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["node", "--eval", "const end = (ok) => process.exit(ok ? 0 : 1); fetch('http://127.0.0.1:5080/ready').then(({ ok }) => end(ok), () => require('node:https').get({ host: '127.0.0.1', port: 5080, path: '/ready', rejectUnauthorized: false }, ({ statusCode }) => end(statusCode === 200)).on('error', () => end(false)))"]
ENTRYPOINT ["node", "/opt/presently/bin/presently.js"]
CMD ["serve", "--config", "/etc/presently/presently.yaml"]
