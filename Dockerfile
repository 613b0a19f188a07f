# One image for every role, the sandbox and the tools: what a container does is its command.
FROM golang:1.26.11-alpine3.23 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /orderly ./cmd/orderly
# The folders that the user below may write to, and any user of group 0, which is what OpenShift runs an image as. A volume takes this over.
RUN mkdir -p /writable/data /writable/tmp && chmod -R 0770 /writable/data /writable/tmp

FROM scratch
# Stripe, a mail server and Temporal Cloud are only believed with these.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:0 /writable/ /
COPY --from=build /orderly /orderly
ENV ORDERLY_DATA=/data
USER 65532:65532
ENTRYPOINT ["/orderly"]
