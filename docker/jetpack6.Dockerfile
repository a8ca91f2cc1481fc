# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Jetson Orin with JetPack 6 (Ubuntu 22.04, Python 3.10, TensorRT 10.3), ROS 2 Humble. On the Jetson, in the repository:
#   build: sudo docker build -f docker/jetpack6.Dockerfile -t lorat_ros:jetpack6 .
#   run:   sudo docker run -it --rm --runtime nvidia --network host --ipc host -v lorat-cache:/cache lorat_ros:jetpack6
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0

ENV ROS_DISTRO=humble DEBIAN_FRONTEND=noninteractive XDG_CACHE_HOME=/cache
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates curl python3-pip && \
    curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
      -o /usr/share/keyrings/ros-archive-keyring.gpg && \
    echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
      > /etc/apt/sources.list.d/ros2.list && \
    rm -rf /var/lib/apt/lists/*

# Without cv_bridge: it is asked only for rare encodings, and its OpenCV is another one than JetPack's.
RUN apt-get update && apt-get install -y --no-install-recommends \
      ros-humble-ros-base ros-humble-vision-msgs python3-colcon-common-extensions && \
    rm -rf /var/lib/apt/lists/*

# NumPy below 2, as Humble's message packages were built with; OpenCV 4.12 and later ask for 2.
RUN python3 -m pip install --no-cache-dir \
      'numpy>=1.26,<2' 'opencv-python-headless>=4.5,<4.12' 'onnxruntime>=1.15' 'onnx>=1.16' \
      'tqdm' 'cuda-python>=12.6,<13'

WORKDIR /ws
COPY setup.py setup.cfg package.xml src/lorat_ros/
COPY resource src/lorat_ros/resource
COPY config src/lorat_ros/config
COPY launch src/lorat_ros/launch
COPY lorat_ros src/lorat_ros/lorat_ros
RUN source /opt/ros/humble/setup.bash && colcon build --packages-select lorat_ros && rm -rf build log
COPY docker/entrypoint.sh /usr/local/bin/lorat-entrypoint

VOLUME /cache
ENTRYPOINT ["/bin/bash", "/usr/local/bin/lorat-entrypoint"]
CMD ["ros2", "launch", "lorat_ros", "tracker.launch.py"]
