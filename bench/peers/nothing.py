"""A Flask-RESTful endpoint that does nothing: what the framework alone costs, on the service's own server.

python -m bench.peers.on_granian bench.peers.nothing:app
"""

from flask import Flask
from flask_restful import Api, Resource


class Nothing(Resource):
    def post(self, goods_id: int) -> dict[str, str]:
        return {"status": "nothing"}


def app() -> Flask:
    flask = Flask(__name__)
    Api(flask).add_resource(Nothing, "/seckill/<int:goods_id>")
    return flask
