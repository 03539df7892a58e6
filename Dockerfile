# The static binary alone, run by a user who is nobody in particular.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /causerie . && mkdir /data

FROM scratch
COPY --from=build /causerie /causerie
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["/causerie"]
# Make a key first: docker run -v causerie:/data IMAGE keys create --data /data
VOLUME /data
CMD ["serve", "--listen", "0.0.0.0:8080", "--data", "/data"]
