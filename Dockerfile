# JupyterLab with spatialhist and its tutorials.
#   docker build --build-arg DEVICE=cpu  --tag spatialhist:cpu .
#   docker build --build-arg DEVICE=cuda --tag spatialhist:cuda .
FROM python:3.11-slim-bookworm

ARG DEVICE=cpu
# a mirror, or the index of another build of torch
ARG TORCH_INDEX_URL=
WORKDIR /opt/spatialhist

# one layer each for torch, the other dependencies and the package: what changes most often is the smallest and the last
COPY constraints.txt scripts/check_torch_build.py ./
RUN index=https://download.pytorch.org/whl/cpu; \
    if [ "$DEVICE" = cuda ]; then index=https://pypi.org/simple; fi; \
    pip install --no-cache-dir --no-deps --constraint constraints.txt --extra-index-url "${TORCH_INDEX_URL:-$index}" torch \
    && python check_torch_build.py "$DEVICE"

COPY pyproject.toml scripts/list_dependencies.py ./
RUN python list_dependencies.py > requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt ipywidgets jupyterlab

COPY README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt .

RUN useradd --create-home --uid 1000 hist \
    && install --directory --owner 1000 /home/hist/work
COPY --chown=1000 tutorials /home/hist/tutorials
USER 1000
WORKDIR /home/hist

# inside a container only the container itself reaches 127.0.0.1: compose.yaml opens it, to the host's loopback alone
ENV JUPYTER_IP=127.0.0.1
EXPOSE 8888
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8888/api', timeout=5)"]
CMD ["sh", "-c", "exec jupyter lab --ip=\"$JUPYTER_IP\" --port=8888 --no-browser"]
