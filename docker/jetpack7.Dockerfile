# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Jetson Thor with JetPack 7 (Ubuntu 24.04, Python 3.12), ROS 2 Jazzy. On the Jetson, in the repository:
#   build: sudo docker build -f docker/jetpack7.Dockerfile -t lorat_ros:jetpack7 .
#   run:   sudo docker run -it --rm --runtime nvidia --network host --ipc host -v lorat-cache:/cache lorat_ros:jetpack7
# Since JetPack 7 the images for Arm servers run on Thor too; this one brings its own TensorRT.
FROM nvcr.io/nvidia/tensorrt:25.08-py3

ENV ROS_DISTRO=jazzy DEBIAN_FRONTEND=noninteractive XDG_CACHE_HOME=/cache PIP_BREAK_SYSTEM_PACKAGES=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates curl python3-pip && \
    curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
      -o /usr/share/keyrings/ros-archive-keyring.gpg && \
    echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu noble main" \
      > /etc/apt/sources.list.d/ros2.list && \
    rm -rf /var/lib/apt/lists/*

# Without cv_bridge: it is asked only for rare encodings, and drags a second OpenCV in.
RUN apt-get update && apt-get install -y --no-install-recommends \
      ros-jazzy-ros-base ros-jazzy-vision-msgs python3-colcon-common-extensions && \
    rm -rf /var/lib/apt/lists/*

# NumPy below 2, as Jazzy's message packages were built with; OpenCV 4.12 and later ask for 2.
# The image's own list of pinned packages is about what NVIDIA ships in it, not about these.
RUN PIP_CONSTRAINT= python3 -m pip install --no-cache-dir \
      'numpy>=1.26,<2' 'opencv-python-headless>=4.5,<4.12' 'onnxruntime>=1.15' 'onnx>=1.16' \
      'tqdm' 'cuda-python>=13,<14'

WORKDIR /ws
COPY setup.py setup.cfg package.xml src/lorat_ros/
COPY resource src/lorat_ros/resource
COPY config src/lorat_ros/config
COPY launch src/lorat_ros/launch
COPY lorat_ros src/lorat_ros/lorat_ros
RUN source /opt/ros/jazzy/setup.bash && colcon build --packages-select lorat_ros && rm -rf build log
COPY docker/entrypoint.sh /usr/local/bin/lorat-entrypoint

VOLUME /cache
ENTRYPOINT ["/bin/bash", "/usr/local/bin/lorat-entrypoint"]
CMD ["ros2", "launch", "lorat_ros", "tracker.launch.py"]
