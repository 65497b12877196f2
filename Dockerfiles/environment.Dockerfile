# An environment: the interpreter of the base plus the locked packages.
#
# environment.tar is a virtual environment without programs: pyvenv.cfg, bin/python and
# lib/python<minor>/site-packages with compiled bytecode. `python -m runner prepare --context DIR`
# writes this file and environment.tar, and prints the command that builds the image.
#
# ADD comes last because the builder commits a layer for every instruction. Once the packages are
# in, some storage drivers need seconds for each layer.
ARG BASE
FROM ${BASE}
ARG BASE_NAME
ARG BASE_KIND
ARG BASE_DIGEST
ARG ENVIRONMENT
ARG LABEL
ARG BUNDLE
ARG OWNER_MACHINE
ARG OWNER_USER
LABEL matrix-runner.environment=${ENVIRONMENT} \
      matrix-runner.label=${LABEL} \
      matrix-runner.base-name=${BASE_NAME} \
      matrix-runner.base-kind=${BASE_KIND} \
      matrix-runner.base-digest=${BASE_DIGEST} \
      matrix-runner.bundle=${BUNDLE} \
      matrix-runner.machine=${OWNER_MACHINE} \
      matrix-runner.user=${OWNER_USER}
ENV PATH=/opt/environment/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /tmp
USER 65534:65534
CMD ["python"]
ADD environment.tar /opt/environment/
