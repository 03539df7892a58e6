# The static binary alone, run by a user who is nobody in particular.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X causerie/internal/cli.release=$VERSION" -o /causerie . \
 && mkdir /data && mkdir -m 1777 /empty

FROM scratch
COPY --from=build /causerie /causerie
# To send traces to a collector that speaks TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /data /data
COPY --from=build /empty /tmp
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Every flag has a variable; docs/configuration.md lists them. Here they are for
# all commands: docker run --rm -v causerie:/data IMAGE keys create
ENV CAUSERIE_LISTEN=0.0.0.0:8080 CAUSERIE_DATA=/data
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["/causerie", "health"]
ENTRYPOINT ["/causerie"]
CMD ["serve"]
