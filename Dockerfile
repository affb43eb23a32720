# The study in a container: a node of Ray, MLflow's server (cluster-kubernetes.yaml), or a study by itself:
#
#     docker build -t ray-tune-study .
#     mkdir -p results && chmod o+rwx results  # the image's user, 1000, writes there: studies, and MLflow's database
#     docker run --rm --shm-size=2g -v "$PWD/results:/home/study/results" \
#         -e MLFLOW_TRACKING_URI=sqlite:////home/study/results/mlflow.db ray-tune-study study run --space digits_ae
FROM python:3.11-slim-bookworm AS packages
RUN python -m venv /opt/study
ENV PATH=/opt/study/bin:$PATH
COPY requirements-image.txt .
# Each file by its hash; one that was changed on its way is refused.
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-image.txt

FROM python:3.11-slim-bookworm
RUN useradd --uid 1000 --create-home study
COPY --from=packages /opt/study /opt/study
ENV PATH=/opt/study/bin:$PATH PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true
COPY . /opt/ray-tune-study
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable /opt/ray-tune-study
USER 1000
WORKDIR /home/study
# Ray's own process is there, as in a study and in a node, or MLflow's server answers. Kubernetes asks by other probes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD grep -qsx raylet /proc/[0-9]*/comm || \
    python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=5)"
CMD ["study", "list"]
