module.exports = function makeApp() {};
