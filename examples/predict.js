// Another service asks for digits, in Node.js with grpc-js.
//
//   npm install @grpc/grpc-js protobufjs
//   node predict.js WIRE_PROTO HOST:PORT IMAGE...
//
// WIRE_PROTO is batch/client/wire.proto of this project.
// Prints a line for each image: path, digit, confidence, error.
const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const protobuf = require("protobufjs");

const [proto, address, ...paths] = process.argv.slice(2);
const DT_STRING = 7;

const root = protobuf.loadSync(proto);
const Request = root.lookupType("PredictRequest");
const Response = root.lookupType("PredictResponse");

const request = {
  modelSpec: { name: "digits", signatureName: "serving_default" },
  inputs: {
    image_bytes: {
      dtype: DT_STRING,
      tensorShape: { dim: [{ size: paths.length }] },
      stringVal: paths.map((path) => fs.readFileSync(path)),
    },
  },
  outputFilter: ["digit", "confidence", "error"],
};

const client = new grpc.Client(address, grpc.credentials.createInsecure());
client.makeUnaryRequest(
  "/tensorflow.serving.PredictionService/Predict",
  (message) => Buffer.from(Request.encode(Request.fromObject(message)).finish()),
  (bytes) => Response.decode(bytes),
  request,
  { deadline: Date.now() + 10_000 },
  (failure, response) => {
    if (failure) {
      console.error(failure.message);
      process.exitCode = 1;
    } else {
      const { digit, confidence, error } = response.outputs;
      paths.forEach((path, n) =>
        console.log(path, Number(digit.int64Val[n]), confidence.floatVal[n].toFixed(4), error.stringVal[n].toString()),
      );
    }
    client.close();
  },
);
