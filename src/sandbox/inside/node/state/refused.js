// A value that is not to be kept although something of it could be: it would come back as something else.
'use strict';

class Refused extends Error {}

module.exports = { Refused };
