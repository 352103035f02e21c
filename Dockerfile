# The companion in a container:
#   docker build -t aifr .
#   docker run --rm -p 8888:8888 aifr              # JupyterLab on working copies of the notebooks
#   docker run --rm -v "$PWD/site:/site" aifr sh -c 'make book VENV=/opt/aifr && cp -r _build/html/. /site'
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential chromium git make npm \
    && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/aifr/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The packages first: they change seldom, and then stay in the layer below.
COPY requirements.lock requirements-alone.txt /tmp/
RUN python -m venv /opt/aifr \
    && pip install -r /tmp/requirements.lock \
    && pip install --no-deps -r /tmp/requirements-alone.txt

RUN useradd --create-home --uid 1000 reader
COPY --chown=reader . /home/reader/aifr
WORKDIR /home/reader/aifr
RUN pip install --no-deps --no-build-isolation -e . \
    && touch /opt/aifr/.installed \
    && chown -R reader /opt/aifr
USER reader

EXPOSE 8888
CMD ["aifr", "lab", "--", "--ip=0.0.0.0", "--no-browser"]
