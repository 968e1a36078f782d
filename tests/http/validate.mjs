// SPDX-License-Identifier: MIT
// validate.mjs FILE - validates an OpenAPI document.
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
const result = await validator.validate(process.argv[2]);
console.log(result.valid ? `OpenAPI ${validator.version}` : JSON.stringify(result.errors, null, 1));
process.exit(result.valid && validator.version === "3.1" ? 0 : 1);
