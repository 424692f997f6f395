# digits-batch alone, with inotify for --watch and check digits for --checksum: no TensorFlow, no model, no package manager's leftovers.
#
#   docker build -f docker/client.Dockerfile -t digits-client .
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_CACHE_DIR=/var/cache/pip
WORKDIR /build
RUN python -m venv --without-pip /opt/digits
# The dependencies have a layer of their own, which stays until they change.
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/var/cache/pip \
    python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['watch'], *extras['checksums'], sep='\n')" \
      > dependencies.txt \
 && python -m pip --python /opt/digits/bin/python install --constraint constraints.txt --requirement dependencies.txt
COPY LICENSE README.md ./
COPY batch batch
COPY exporter exporter
COPY trainer trainer
# Without the shipped model, which only a server needs.
COPY serving serving
RUN rm -r serving/models
RUN --mount=type=cache,target=/var/cache/pip \
    python -m pip --python /opt/digits/bin/python install --constraint constraints.txt --no-deps .

FROM ${PYTHON}
RUN useradd --uid 1000 --no-create-home --home-dir /data --shell /usr/sbin/nologin digits
COPY --from=build /opt/digits /opt/digits
ENV PATH=/opt/digits/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["digits-batch"]
CMD ["--help"]
