# Which images does this repository make?
#
#   docker build .                  the application, as `--target runtime`
#   docker build --target ops .     the scheduler: the runner with PostgreSQL's programs of the server's major
#   docker build --target test .    the application's tests; `docker run` it
#
# Understood by the classic builder too (the SDK has no other), which makes every stage above the wanted one: so the
# stages stand in the order of how often they are wanted.
ARG PYTHON_IMAGE=python:3.13-slim
ARG POSTGRES_IMAGE=postgres:17

# ---- builder: the application's libraries, each with the hash in the lock ------------------------------------------
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements-app.lock /tmp/
RUN pip install --require-hashes --only-binary :all: --requirement /tmp/requirements-app.lock \
 && pip uninstall --yes pip

# ---- runtime: what is deployed ------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 app \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app
COPY --from=builder /opt/venv /opt/venv
WORKDIR /app
COPY alembic.ini ./
COPY alembic ./alembic
COPY app ./app
# The modes of the checkout depend on its owner's umask; here everybody reads and nobody writes.
RUN chmod -R u=rwX,go=rX /app && python -m compileall -q app alembic
USER 10001:10001
EXPOSE 8000
# Asks past any proxy that the environment may name.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
  "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000", "--no-server-header"]

# ---- postgres-parts: PostgreSQL's programs and the libraries that they load ----------------------------------------
# Without the C library's own (python's image has them) and without JIT, which needs 150 MB and helps no drill.
FROM ${POSTGRES_IMAGE} AS postgres-parts
USER root
RUN set -eu; \
    mkdir -p /parts/usr/lib /parts/usr/share /parts/usr/local/lib/postgresql /parts/etc/ld.so.conf.d; \
    cp -a /usr/lib/postgresql /parts/usr/lib/; \
    cp -a /usr/share/postgresql /parts/usr/share/; \
    rm -rf /parts/usr/lib/postgresql/*/lib/bitcode /parts/usr/lib/postgresql/*/lib/llvmjit*; \
    major=$(ls /usr/lib/postgresql | sort -V | tail -n 1); \
    ln -s "$major" /parts/usr/lib/postgresql/current; \
    ldd /parts/usr/lib/postgresql/$major/bin/* /parts/usr/lib/postgresql/$major/lib/*.so \
      | awk '$3 ~ /^\// {print $3}' | sort -u \
      | grep -Ev '/(libc|libm|libdl|librt|libpthread|libresolv)\.so' \
      | xargs cp -L -t /parts/usr/local/lib/postgresql; \
    echo /usr/local/lib/postgresql > /parts/etc/ld.so.conf.d/zz-postgresql.conf

# ---- ops-builder: the runner's libraries ---------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS ops-builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements-ops.lock /tmp/
RUN pip install --require-hashes --only-binary :all: --requirement /tmp/requirements-ops.lock \
 && pip uninstall --yes pip

# ---- ops: the scheduler --------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS ops
ARG OPS_UID=1000
ARG OPS_GID=1000
ENV PATH=/opt/venv/bin:/usr/lib/postgresql/current/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=postgres-parts /parts/ /
# `zz-` comes last, so a library that python's image has itself is the one used. The drill's initdb wants its user to
# have a name: so the owner of backups/ is made here.
RUN ldconfig && { { pg_dump --version && postgres --version; } || { echo >&2 \
      "POSTGRES_IMAGE was built for a newer system than PYTHON_IMAGE: take both of one Debian release"; exit 1; }; } \
 && (getent group "$OPS_GID" || groupadd --gid "$OPS_GID" ops) \
 && (getent passwd "$OPS_UID" || useradd --uid "$OPS_UID" --gid "$OPS_GID" --create-home ops)
COPY --from=ops-builder /opt/venv /opt/venv
WORKDIR /ops
COPY pyproject.toml tasks.py alembic.ini docker-compose.yml docker-compose.prod.yml ./
COPY alembic ./alembic
COPY app ./app
COPY ops ./ops
RUN chmod -R u=rwX,go=rX /ops && python -m compileall -q ops app alembic tasks.py \
 && mkdir -m 0700 backups .ops && chown "$OPS_UID:$OPS_GID" backups .ops
USER ${OPS_UID}:${OPS_GID}
CMD ["inv", "scheduler"]

# ---- test: the application's tests, on SQLite and on a PostgreSQL of their own --------------------------------------
FROM ${PYTHON_IMAGE} AS test
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements-dev.lock /tmp/
RUN pip install --require-hashes --requirement /tmp/requirements-dev.lock
WORKDIR /src
COPY pyproject.toml alembic.ini ./
COPY alembic ./alembic
COPY app ./app
COPY ops ./ops
COPY tests ./tests
RUN chmod -R u=rwX,go=rX /src && useradd --uid 10001 --create-home tester
USER 10001
CMD ["pytest", "-q", "-p", "no:cacheprovider", "--ignore=tests/app/stack", "tests/app"]

# ---- what `docker build .` gives -----------------------------------------------------------------------------------
FROM runtime
