# An environment: an interpreter from the base, and the packages as they are locked.
#
# environment.tar is a virtual environment without its programs: pyvenv.cfg, bin/python and
# lib/python<minor>/site-packages with compiled bytecode. `python -m runner prepare --context DIR`
# writes it, this file and the command that builds the image.
#
# ADD comes last: the builder commits a layer for every instruction, and some storage drivers take
# seconds for each once the packages are in.
ARG BASE
FROM ${BASE}
ARG BASE
ARG BASE_KIND
ARG BASE_DIGEST
ARG ENVIRONMENT
ARG LABEL
LABEL matrix-runner.environment=${ENVIRONMENT} \
      matrix-runner.label=${LABEL} \
      matrix-runner.base-name=${BASE} \
      matrix-runner.base-kind=${BASE_KIND} \
      matrix-runner.base-digest=${BASE_DIGEST}
ENV PATH=/opt/environment/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /tmp
USER 65534:65534
CMD ["python"]
ADD environment.tar /opt/environment/
