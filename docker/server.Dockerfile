# The built-in server, digits-serve, with the shipped model: for processors that tensorflow/serving has no image for.
#
#   docker build -f docker/server.Dockerfile -t digits-server .
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_CACHE_DIR=/var/cache/pip
WORKDIR /build
RUN python -m venv --without-pip /opt/digits
# The dependencies, TensorFlow among them, have a layer of their own, which stays until they change.
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/var/cache/pip \
    python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['serve'], sep='\n')" \
      > dependencies.txt \
 && python -m pip --python /opt/digits/bin/python install --constraint constraints.txt --requirement dependencies.txt
COPY LICENSE README.md ./
COPY batch batch
COPY exporter exporter
COPY trainer trainer
COPY serving serving
RUN --mount=type=cache,target=/var/cache/pip \
    python -m pip --python /opt/digits/bin/python install --constraint constraints.txt --no-deps .

FROM ${PYTHON}
RUN useradd --uid 1000 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin digits
COPY --from=build /opt/digits /opt/digits
ENV PATH=/opt/digits/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /tmp
EXPOSE 8500 8501
ENTRYPOINT ["digits-serve"]
# Inside a container, all addresses are those of the container.
CMD ["--host=0.0.0.0"]
