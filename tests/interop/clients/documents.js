// Checks the two documents of the interface with the validators of OpenAPI and AsyncAPI. Prints
// what is wrong; the status is 1 then.
const fs = require('fs');
const swagger = require('@apidevtools/swagger-parser');
const { Parser } = require('@asyncapi/parser');

const validate = (swagger.default ?? swagger).validate.bind(swagger.default ?? swagger);
const read = name => fs.readFileSync(name, 'utf8');

(async () => {
	const [openapi, asyncapi] = process.argv.slice(2);
	try {
		await validate(JSON.parse(read(openapi)));
	} catch (e) {
		console.log(`openapi: ${e.message}`);
		process.exitCode = 1;
	}
	const { document, diagnostics } = await new Parser().parse(read(asyncapi));
	for (const d of diagnostics.filter(d => d.severity === 0)) {
		console.log(`asyncapi: ${d.path.join('.')}: ${d.message}`);
		process.exitCode = 1;
	}
	if (!document && process.exitCode !== 1) {
		console.log('asyncapi: no document');
		process.exitCode = 1;
	}
})();
